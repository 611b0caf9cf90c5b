const digit = (bytes: Uint8Array, at: number): number => {
  const value = bytes[at]! - 0x30;
  return value >= 0 && value <= 9 ? value : Number.NaN;
};

const pair = (bytes: Uint8Array, at: number): number => digit(bytes, at) * 10 + digit(bytes, at + 1);

/**
 * Reads a GeneralizedTime (RFC 4517 3.3.13) as seconds since 1970, fractions included.
 *
 * Second 60 means the next minute, whatever the minute: sssd counts the digits of the newest timestamp up by one.
 *
 * @returns NaN when it is not a time.
 */
export function parseTime(bytes: Uint8Array, start: number, end: number): number {
  const wanted = end - start;
  if (wanted < 11) return Number.NaN;
  const year = pair(bytes, start) * 100 + pair(bytes, start + 2);
  const month = pair(bytes, start + 4);
  const day = pair(bytes, start + 6);
  const hour = pair(bytes, start + 8);
  let at = start + 10;
  let seconds = 0;
  let unit = 3600;
  const isDigit = (): boolean => at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39;
  if (isDigit()) {
    if (at + 2 > end) return Number.NaN;
    const minute = pair(bytes, at);
    if (!(minute <= 59)) return Number.NaN;
    seconds = minute * 60;
    unit = 60;
    at += 2;
    if (isDigit()) {
      if (at + 2 > end) return Number.NaN;
      const second = pair(bytes, at);
      if (!(second <= 60)) return Number.NaN;
      seconds += second;
      unit = 1;
      at += 2;
    }
  }
  if (at < end && (bytes[at] === 0x2e || bytes[at] === 0x2c)) {
    at++;
    if (!isDigit()) return Number.NaN;
    let scale = unit;
    for (; isDigit(); at++) {
      scale /= 10;
      seconds += digit(bytes, at) * scale;
    }
  }
  const offset = zoneOffset(bytes, at, end);
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23)) return Number.NaN;
  // A year below 100 would be taken as 19xx.
  const date = new Date(0).setUTCFullYear(year, month - 1, day);
  if (new Date(date).getUTCDate() !== day) return Number.NaN;
  return date / 1000 + hour * 3600 + seconds - offset;
}

/** Seconds east of UTC that `Z`, `+hh`, `+hhmm` and the like stand for; NaN when it is none of them. */
function zoneOffset(bytes: Uint8Array, at: number, end: number): number {
  const length = end - at;
  const sign = bytes[at];
  if (length === 1 && sign === 0x5a) return 0;
  if ((sign !== 0x2b && sign !== 0x2d) || (length !== 3 && length !== 5)) return Number.NaN;
  const hours = pair(bytes, at + 1);
  const minutes = length === 5 ? pair(bytes, at + 3) : 0;
  if (!(hours <= 23 && minutes <= 59)) return Number.NaN;
  return (hours * 3600 + minutes * 60) * (sign === 0x2b ? 1 : -1);
}
