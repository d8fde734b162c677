/** Plots as SVG. */
import * as echarts from "echarts";

export interface Series {
  readonly name: string;
  /** For each category; undefined: no figure. */
  readonly values: readonly (number | undefined)[];
}

export interface BarPlot {
  readonly title: string;
  readonly unit: string;
  readonly categories: readonly string[];
  readonly series: readonly Series[];
}

const width = 760;
const font = "sans-serif";
const palette = ["#2f6fb0", "#e08a1e", "#8a8f98", "#4c9f70", "#a5527c"];

/** Horizontal bars, the first category on top. */
export function barPlot({ title, unit, categories, series }: BarPlot): string {
  const height = 110 + categories.length * (14 + series.length * 16);
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    color: palette,
    textStyle: { fontFamily: font },
    title: { text: title, left: 8, top: 6, textStyle: { fontSize: 14, fontFamily: font } },
    legend: { show: series.length > 1, top: 30, left: 8 },
    grid: { left: 8, right: 50, top: 62, bottom: 34, containLabel: true },
    xAxis: { type: "value", name: unit, nameLocation: "end" },
    yAxis: { type: "category", inverse: true, data: [...categories] },
    series: series.map(({ name, values }) => ({
      name,
      type: "bar" as const,
      data: values.map((value) => value ?? "-"),
      label: { show: true, position: "right" as const, fontSize: 10 },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
