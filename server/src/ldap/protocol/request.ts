import type { FilterNode } from './decode-filter.ts';

/** A stretch of the message that was decoded; valid as long as the message's bytes are. */
export interface Span {
  start: number;
  end: number;
}

/** A paging control (RFC 2696). */
export interface Paging {
  critical: boolean;
  size: number;
  cookie: Span;
}

/** A dereference control (draft-masarati-ldap-deref): what the client wants of the entries that its entries name. */
export interface DereferenceRequest {
  critical: boolean;
  /** The value as it came, to recognise the same search on its next page. */
  whole: Span;
  /** An attribute whose values are names, and the contents of a list of attributes as in a search. */
  wishes: readonly { attribute: Span; attributes: Span }[];
}

/** What the controls of a message amount to (RFC 4511 4.1.11). */
export interface Controls {
  /** A control that is critical and unknown, or critical where it has no meaning: the operation must not be performed. */
  unavailable: boolean;
  paging: Paging | null;
  dereference: DereferenceRequest | null;
  /** Why a known control cannot be read; the answer is protocolError and the connection stays. */
  malformed: string | null;
}

interface Base {
  messageId: number;
  /** The bytes that all spans point into. */
  bytes: Uint8Array;
  controls: Controls;
}

export interface BindRequest extends Base {
  kind: 'bind';
  version: number;
  name: Span;
  authentication:
    | { method: 'simple'; password: Span }
    | { method: 'sasl'; mechanism: string; credentials: Span | null };
}

export interface UnbindRequest extends Base {
  kind: 'unbind';
}

export interface SearchRequest extends Base {
  kind: 'search';
  base: Span;
  scope: number;
  /** 0: the client sets none. */
  sizeLimit: number;
  /** Seconds; 0: the client sets none. */
  timeLimit: number;
  typesOnly: boolean;
  /** Null when the filter is larger than the limits allow. */
  filter: FilterNode | null;
  /** Contents of the attribute list: a sequence of OCTET STRINGs, checked. */
  attributes: Span;
  /** Everything between operation tag and controls, to recognise the same search on its next page. */
  whole: Span;
}

export interface CompareRequest extends Base {
  kind: 'compare';
  entry: Span;
  attribute: Span;
  value: Span;
}

export interface AbandonRequest extends Base {
  kind: 'abandon';
  target: number;
}

export interface ExtendedRequest extends Base {
  kind: 'extended';
  name: string;
  value: Span | null;
}

/** An operation that would change the directory; what exactly does not matter. */
export interface UpdateRequest extends Base {
  kind: 'update';
  responseTag: number;
}

/** A well-formed message whose contents RFC 4511 forbids; the answer is a result, the connection stays. */
export interface UnacceptableRequest extends Base {
  kind: 'unacceptable';
  responseTag: number;
  text: string;
}

export type Request =
  | BindRequest
  | UnbindRequest
  | SearchRequest
  | CompareRequest
  | AbandonRequest
  | ExtendedRequest
  | UpdateRequest
  | UnacceptableRequest;

/** Bytes that are not an LDAP message that a client may send: the connection ends with a notice. */
export interface ProtocolError {
  kind: 'protocol-error';
  text: string;
}
