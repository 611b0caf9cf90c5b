/** What the package that the installed console is upgraded to in the tests says of itself. */
export const NEXT_VERSION = '98.0.0';
