/**
 * The path of the program that this process runs. Linux says of a file that was replaced before it was asked for it that
 * it is gone, though another one has its name.
 */
export const programPath = (running: string = process.execPath): string => running.replace(/ \(deleted\)$/, '');
