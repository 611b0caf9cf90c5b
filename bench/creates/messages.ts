/** What the bench is told first: where the server is, and who may ask there. */
export interface Ready {
  kind: 'ready';
  port: number;
  externalUrl: string;
  /** `key`: Ed25519, PKCS 8 in PEM. */
  hosts: { id: string; serverId: string; machineId: string; key: string }[];
}

/** What the server has used since it was asked the last time: milliseconds of its main thread, and of all threads. */
export interface Used {
  kind: 'used';
  mainMs: number;
  allMs: number;
  rssMb: number;
}

/** Whose requests the policy answers. */
export const GRANTED_USER = 'granted';
