/** The other side has not answered in time; what it says later is still heard by whoever kept the promise. */
export class NotInTime extends Error {
  constructor() {
    super('no answer in time');
  }
}

/** What comes of the work, when it comes within so many milliseconds. @throws NotInTime when it does not */
export async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new NotInTime()), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
