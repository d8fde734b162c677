// The dashboard and the alerts ask for metrics and labels that there are: those of docs/daemon.md, which a scrape is held against.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { documentedMetrics } from "./support/documented-metrics.js";

const read = (name: string) => readFileSync(new URL(`../../examples/${name}`, import.meta.url), "utf8");
const metrics = documentedMetrics();
/** What Prometheus adds to each series. */
const added = ["instance", "job"];

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: { readonly query?: string } }[];
  };
}
interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

const dashboard = JSON.parse(read("grafana.json")) as Dashboard;
const alerts = (parse(read("alerts.yml")) as Alerts).groups.flatMap(({ rules }) => rules);

/** What an expression asks for that there is not. */
function missingIn(expression: string): string[] {
  const asked = [...expression.matchAll(/\b(xgw_\w+)(?:\{([^}]*)\})?/g)].map(([, name = "", matchers = ""]) => ({
    name: name.replace(/_bucket$/, ""),
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
  }));
  const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(/,\s*/));
  const known = new Set([...added, ...asked.flatMap(({ name }) => metrics.get(name) ?? [])]);
  return [
    ...asked.flatMap(({ name, labels }) => {
      const own = metrics.get(name);
      if (!own) return [name];
      return labels
        .filter((label) => !own.includes(label) && !added.includes(label))
        .map((label) => `${name}{${label}}`);
    }),
    ...grouped.filter((label) => !known.has(label)),
  ];
}

it("what is not there is found", () => {
  expect(missingIn('sum by (colour) (rate(xgw_flows{tenant="a",size="b"}[5m])) / xgw_nothing')).toEqual([
    ...["xgw_flows{size}", "xgw_nothing", "colour"],
  ]);
});

describe("examples/grafana.json", () => {
  const expressions = dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => [title, expr] as const),
  );
  it.each(expressions)("%s: %s", (_title, expr) => {
    expect(expr).toMatch(/\bxgw_\w+/);
    expect(missingIn(expr)).toEqual([]);
  });

  it("has variables that the metrics fill", () => {
    const queries = dashboard.templating.list.flatMap(({ query }) => query.query ?? []);
    expect(queries.length).toBe(2);
    expect(queries.flatMap(missingIn)).toEqual([]);
  });
});

describe("examples/alerts.yml", () => {
  it.each(alerts.map(({ alert, expr }) => [alert, expr] as const))("%s: %s", (_alert, expr) => {
    expect(missingIn(expr)).toEqual([]);
  });
});
