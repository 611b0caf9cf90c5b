/** What one client may take of the server. Times in milliseconds, sizes in octets. */
export interface Limits {
  /** Message size before and after authentication; decided on the header, before anything is kept. */
  messageSizeUnauthenticated: number;
  messageSize: number;
  connections: number;
  connectionsPerAddress: number;
  idleUnauthenticated: number;
  idle: number;
  /** From the first octet of a message to its last. */
  incompleteMessage: number;
  handshake: number;
  /** Searches under way at once on a connection. */
  operations: number;
  /** Lookups, or what costs as much, per second; 0: any number. `…Burst` is how many may come at once. */
  searchRate: number;
  searchBurst: number;
  /** The same for a connection that has authenticated, if it is more. */
  searchBurstAuthenticated: number;
  searchRatePerAddress: number;
  searchBurstPerAddress: number;
  /** Failed binds a minute per address and per name, before answers are withheld for up to `bindPenalty`. */
  bindFailures: number;
  bindPenalty: number;
  /** How long each password waits at a name that was proved from there and is being guessed at. */
  bindProvenWait: number;
  /** How long a refusal of a bind is held back. */
  bindFailureDelay: number;
  /** Output waiting for a client, beyond which its searches pause. */
  writeBuffer: number;
  /** How long they may pause before the connection is closed. */
  writeStall: number;
  /**
   * Octets kept for all clients together: messages that are not complete or not handled, answers that are not taken,
   * searches under way.
   */
  memory: number;
  /** Older snapshots that searches and pages may hold on to, each as large as the directory. */
  snapshots: number;
  /** Entries per unpaged search; 0: any number. */
  searchResults: number;
  pageSize: number;
  /** Names of one entry that are dereferenced, and what may come of it: answers are not kept, but somebody must take them. */
  dereferenceNames: number;
  dereferenceSize: number;
  /** Work on one search, not counting the time it waits for its client. */
  searchTime: number;
  cursors: number;
  cursorIdle: number;
  filterDepth: number;
  filterLeaves: number;
  filterSize: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageSizeUnauthenticated: 64 * 1024,
  messageSize: 1024 * 1024,
  connections: 4096,
  connectionsPerAddress: 64,
  idleUnauthenticated: 30_000,
  // sssd gives up idle connections after 900 s; a server that is faster makes it log errors.
  idle: 1_000_000,
  incompleteMessage: 15_000,
  handshake: 10_000,
  operations: 32,
  searchRate: 1000,
  searchBurst: 5000,
  searchBurstAuthenticated: 15_000,
  searchRatePerAddress: 5000,
  searchBurstPerAddress: 25_000,
  bindFailures: 10,
  bindPenalty: 300_000,
  // Shorter than sssd waits for a bind (6 s).
  bindProvenWait: 2000,
  bindFailureDelay: 500,
  writeBuffer: 256 * 1024,
  writeStall: 60_000,
  memory: 8 * 1024 * 1024,
  snapshots: 3,
  searchResults: 10_000,
  pageSize: 1000,
  dereferenceNames: 100_000,
  dereferenceSize: 32 * 1024 * 1024,
  searchTime: 30_000,
  cursors: 8,
  cursorIdle: 300_000,
  filterDepth: 32,
  filterLeaves: 1024,
  filterSize: 64 * 1024,
};
