/** What whoever asks for the checks knows beside what the kernel shows. */

/** What came of the last comparison of the config with the kernel. */
export type Comparison =
  | {
      /** Steps that differ. */
      readonly pending: number;
      /** The rules that keep tenants apart are not there, or not those of this version. */
      readonly isBoundaryOpen: boolean;
    }
  /** There was none, or nothing could be put right. */
  | { readonly failure: { readonly message: string; readonly remedy?: string | undefined } };

export type Daemon =
  | { readonly state: "answers"; readonly isConfigRefused: boolean; readonly problems: readonly string[] }
  /** One is there, and says nothing. */
  | { readonly state: "busy"; readonly holder: string }
  | { readonly state: "none" };
