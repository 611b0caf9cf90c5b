/** Whether both databases hold a text as it is: Postgres refuses a NUL, and half of a surrogate pair is no Unicode. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');
