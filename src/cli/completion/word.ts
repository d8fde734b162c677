/** The command by which shells ask for completions, with the words of the line after it; no help lists it. */
export const completionWord = "__complete";
