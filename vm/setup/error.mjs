/** Something that the person has to put right. The message says what is wrong and what to do. */
export class SetupError extends Error {}
