/** What the person at the keys of `xgw top` has chosen, and what a key makes of it. Pure. */

export const sorts = ["bits", "packets", "dropped", "sessions", "flows", "name"] as const;
export type Sort = (typeof sorts)[number];

export interface State {
  readonly view: "tenants" | "flows";
  /** Whose flows are shown. */
  readonly tenant: string | undefined;
  readonly sort: Sort;
  readonly isReversed: boolean;
  /** Tenants whose name or key has it. */
  readonly filter: string;
  /** What is being typed, until it is taken as the filter. */
  readonly typing: string | undefined;
  /** Row under the marker, from 0. */
  readonly selected: number;
  readonly showsHelp: boolean;
  readonly isPaused: boolean;
  readonly isDone: boolean;
}

/** By what flows are ranked: they have no other figures than these. */
export const flowsBy = (sort: Sort): "bits" | "packets" => (sort === "packets" ? "packets" : "bits");

export const firstState = (tenant: string | undefined, sort: Sort): State => ({
  ...{ view: tenant === undefined ? "tenants" : "flows", tenant, sort, isReversed: false, filter: "" },
  ...{ typing: undefined, selected: 0, showsHelp: false, isPaused: false, isDone: false },
});

export const help: readonly string[] = [
  "up, down, k, j    move the marker",
  "Enter             the flows of the tenant under the marker",
  "Esc, Backspace    go back to the tenants",
  "s                 sort by the next: bits, packets, dropped, sessions, flows, name;",
  "                  flows by bits or packets",
  "r                 tenants: the least first, or the greatest again",
  "/                 show tenants whose name or key has what is typed; Esc: all",
  "Space             stand still, or go on",
  "h, ?              this",
  "q, Ctrl-C         quit",
];

/**
 * @param key one of `keysIn`
 * @param names of the tenants that are shown, in their order
 */
export function pressed(state: State, key: string, names: readonly string[]): State {
  if (key === "ctrl-c") return { ...state, isDone: true };
  if (state.typing !== undefined) return typed(state, state.typing, key);
  if (state.showsHelp) return { ...state, showsHelp: false, isDone: key === "q" };
  const last = Math.max(0, names.length - 1);
  switch (key) {
    case "q":
      return { ...state, isDone: true };
    case "h":
    case "?":
      return { ...state, showsHelp: true };
    case "up":
    case "k":
      return { ...state, selected: Math.max(0, Math.min(state.selected, last) - 1) };
    case "down":
    case "j":
      return { ...state, selected: Math.min(last, state.selected + 1) };
    case "enter": {
      const tenant = names[Math.min(state.selected, last)];
      return state.view === "flows" || tenant === undefined ? state : { ...state, view: "flows", tenant };
    }
    case "escape":
    case "backspace":
      if (state.view === "flows") return { ...state, view: "tenants", tenant: undefined };
      return { ...state, filter: "", selected: 0 };
    case "s":
      return { ...state, sort: nextSort(state), selected: 0 };
    case "r":
      return state.view === "tenants" ? { ...state, isReversed: !state.isReversed, selected: 0 } : state;
    case "/":
      return state.view === "tenants" ? { ...state, typing: state.filter } : state;
    case " ":
      return { ...state, isPaused: !state.isPaused };
    default:
      return state;
  }
}

function nextSort({ view, sort }: State): Sort {
  if (view === "flows") return flowsBy(sort) === "bits" ? "packets" : "bits";
  return sorts[(sorts.indexOf(sort) + 1) % sorts.length] ?? "bits";
}

function typed(state: State, text: string, key: string): State {
  if (key === "enter") return { ...state, filter: text, typing: undefined, selected: 0 };
  if (key === "escape") return { ...state, typing: undefined };
  if (key === "backspace") return { ...state, typing: text.slice(0, -1) };
  return key.length === 1 ? { ...state, typing: text + key } : state;
}

const sequences: ReadonlyMap<string, string> = new Map([
  ["\x1b[A", "up"],
  ["\x1bOA", "up"],
  ["\x1b[B", "down"],
  ["\x1bOB", "down"],
  ["\r", "enter"],
  ["\n", "enter"],
  ["\x1b", "escape"],
  ["\x7f", "backspace"],
  ["\b", "backspace"],
  ["\x03", "ctrl-c"],
]);

/** The keys of what a terminal sent at once: a printing character as itself, some others by name, the rest not at all. */
export function keysIn(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a terminal sends
  const pieces = text.match(/\x1b\[[0-9;]*[ -/]*[@-~]|\x1bO.|[\s\S]/gu) ?? [];
  return pieces.flatMap((piece) => sequences.get(piece) ?? (/^[^\p{C}]$/u.test(piece) ? [piece] : []));
}
