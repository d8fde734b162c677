/**
 * How a viewer without privileges has a command run that only looks: over a Unix socket, a line of JSON asks, lines of JSON answer
 * as it speaks, and the last says how it ended.
 */

/** Below /run, where only root can make it; its group is let in by its mode. */
export const viewerSocket = "/run/xgw-viewer.sock";

export const viewerGroup = "xgw-viewer";

export interface ViewerRequest {
  readonly argv: readonly string[];
  /** Inode of the viewer's network namespace: who answers looks at its own only. */
  readonly namespace: number;
  /** Of the terminal. */
  readonly columns?: number | undefined;
}

/** Text for stdout or stderr, or the exit code. */
export type ViewerAnswer = { readonly out: string } | { readonly err: string } | { readonly exit: number };

export const toLine = (value: ViewerRequest | ViewerAnswer): string => `${JSON.stringify(value)}\n`;
