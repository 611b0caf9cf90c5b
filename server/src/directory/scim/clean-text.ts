/**
 * A text as it can be kept: a lone surrogate has no UTF-8, and at a NUL a text ends for some who read it. It is made one
 * instead of refused: in an attribute that nobody needs it must not stop what is said beside it.
 */
export const cleanText = (text: string): string => text.toWellFormed().replaceAll('\0', '');

/** Both can be in JSON as an escape only, and nearly no body has one. */
const MAY_NEED_IT = /\\u(0000|d[89a-f])/i;

/** JSON with every text in it made clean. @throws SyntaxError */
export const parseClean = (json: string): unknown =>
  JSON.parse(
    json,
    MAY_NEED_IT.test(json) ? (_, value: unknown) => (typeof value === 'string' ? cleanText(value) : value) : undefined,
  );
