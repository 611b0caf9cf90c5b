/** `1 person`, `no people`, `12 people`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n === 0 ? 'no' : n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** `alice`, `alice and bob`, `alice, bob and carol`. */
export function listed(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Starts with a capital and ends with a full stop: the server's fragments as sentences. */
export function sentence(fragment: string): string {
  const text = `${fragment.charAt(0).toUpperCase()}${fragment.slice(1)}`;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
