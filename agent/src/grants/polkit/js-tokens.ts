/** A word, a sign or a string of JavaScript; `value` is that of a string. */
export interface JsToken {
  text: string;
  value: string | null;
  line: number;
}

// A comment ends where a line does for JavaScript, which is not at a line feed only: what follows is run.
const TOKEN =
  /\s+|\/\/[^\n\r\u2028\u2029]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]*)"|'(?:[^'\\\n]*)'|[A-Za-z_$][\w$]*|===|!==|==|!=|&&|\|\||=>|\d+|[(){}[\].,;:!=<>?+*%&|^~-]/y;

/**
 * Cuts a script as far as its words are plain. At what needs more to be understood (an escape, a template, what may be
 * a regular expression) it stops: whatever is behind that may be inside of it.
 *
 * @returns `stopped`: the line where it did; null when all was read.
 */
export function jsTokens(source: string): { tokens: JsToken[]; stopped: number | null } {
  const tokens: JsToken[] = [];
  let line = 1;
  let at = 0;
  while (at < source.length) {
    TOKEN.lastIndex = at;
    const text = TOKEN.exec(source)?.[0];
    if (text === undefined) return { tokens, stopped: line };
    const isString = /^["']/.test(text);
    if (!/^(\s|\/\/|\/\*)/.test(text)) tokens.push({ text, value: isString ? text.slice(1, -1) : null, line });
    line += text.split('\n').length - 1;
    at += text.length;
  }
  return { tokens, stopped: null };
}
