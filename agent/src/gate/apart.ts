/** A file system that does not answer (network, FUSE) must not keep the person from hearing anything, milliseconds. */
const LOOK_UP_MS = 5000;

/**
 * How many looks at a time may be where they may never come back from: each of those keeps a thread of the pool until its
 * file system answers, and without one nothing is written down any more, for anybody. Node.js has four by itself, and so
 * has the gate that sudo starts.
 */
const MOST = 3;

/** It was not looked, because too many looks have not come back. */
export class NoLook extends Error {}

interface Look {
  /** When it began, milliseconds. */
  since: number;
}

const underWay = new Set<Look>();
const waiting: (() => void)[] = [];

function begin(): Look {
  const look = { since: performance.now() };
  underWay.add(look);
  return look;
}

const areLost = (): boolean => [...underWay].every(({ since }) => performance.now() - since >= LOOK_UP_MS);

/** Resolves when there is room for it. @throws NoLook */
async function beginInTurn(): Promise<Look> {
  if (underWay.size < MOST) return begin();
  const refusal = new NoLook('too many looks have not come back');
  if (areLost()) throw refusal;
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      waiting.splice(waiting.indexOf(go), 1);
      reject(refusal);
    }, LOOK_UP_MS);
    const go = () => {
      clearTimeout(limit);
      resolve(begin());
    };
    waiting.push(go);
  });
}

/**
 * Looks at what lies outside of the system's own folders: at most so many at a time.
 *
 * @throws NoLook, and what the look throws
 */
export async function apart<T>(look: () => Promise<T>): Promise<T> {
  const own = await beginInTurn();
  try {
    return await look();
  } finally {
    underWay.delete(own);
    waiting.shift()?.();
  }
}

/** What a look comes to, or something else where it takes too long. */
export async function withinPatience<T>(look: Promise<T>, otherwise: T): Promise<T> {
  const { promise: patience, resolve: giveUp } = Promise.withResolvers<T>();
  const limit = setTimeout(() => giveUp(otherwise), LOOK_UP_MS);
  try {
    return await Promise.race([look, patience]);
  } finally {
    clearTimeout(limit);
  }
}
