/**
 * The one table of refusals: code → HTTP status and what the person or program on the other end is told. Messages say
 * what to do next and nothing that helps an attacker; private detail goes to the log.
 */
export const ERRORS = {
  bad_json: [400, 'The body is not valid JSON.'],
  bad_request: [400, 'The request does not have the expected shape.'],
  body_too_large: [413, 'The body is larger than 32 KiB.'],
  wrong_content_type: [415, 'Content-Type must be application/json.'],
  not_found: [404, 'There is nothing here.'],
  method_not_allowed: [405, 'This method is not supported here.'],
  rate_limited: [429, 'Too many requests. Wait a minute and try again.'],
  too_many_streams: [429, 'You follow events in too many windows. Close some of them and try again.'],
  too_many_followers: [503, 'Too many people follow events right now. Try again in a few minutes.'],
  too_many_downloads: [429, 'Too many downloads are running. Wait until one is done and try again.'],
  internal: [500, 'Something went wrong on the server. It has been logged.'],
  unavailable: [503, 'The server cannot decide right now. Try again in a moment.'],
  storage_full: [
    503,
    'The server has no room to write anything down, so nothing is decided. An operator must make room.',
  ],
  storage_read_only: [503, 'The server may not write anything down, so nothing is decided. An operator must allow it.'],
  storage_damaged: [503, 'What the server has stored is damaged, so nothing is decided. An operator must look at it.'],

  not_as_signed: [503, 'What hosts are installed from is not as it was signed. An operator must look at it.'],

  signature_missing: [401, 'The request is not signed. Enrol this host first: identree enroll.'],
  signature_malformed: [401, 'The signature header is malformed.'],
  signature_components: [401, 'The signature does not cover method, target URI and content digest.'],
  signature_invalid: [401, 'The signature does not match the request.'],
  digest_mismatch: [401, 'Content-Digest does not match the body.'],
  wrong_server: [401, 'The request was signed for another server.'],
  clock_skew: [
    401,
    'The host clock differs from the server clock by more than 60 seconds. Set the clock (timedatectl) and try again.',
  ],
  nonce_replayed: [401, 'This request was already received.'],
  host_unknown: [401, 'This host is not enrolled here. Enrol it again: identree enroll.'],
  host_waiting: [403, 'This host waits for an operator to confirm its key.'],
  host_quarantined: [
    403,
    'This host is quarantined: its identity was seen in two places. An operator must look at it.',
  ],
  host_revoked: [403, 'This host was revoked. An operator can issue a new enrolment token.'],
  challenge_not_found: [404, 'There is no such request.'],
  wrong_host_record: [403, 'The request record names another host.'],
  stale_record: [400, 'The request record is too old.'],
  nonce_reused: [409, 'This request record was already submitted.'],
  too_many_pending_user: [429, 'Too many requests of this user on this host are waiting. Answer or cancel them first.'],
  approval_required: [403, 'Somebody would have to approve this, and nobody waits for it.'],
  too_many_pending: [429, 'Too many requests are waiting on the server.'],

  token_malformed: [400, 'This is not an enrolment token.'],
  token_unknown: [401, 'This enrolment token is not known here.'],
  token_used: [409, 'This enrolment token was already used. Ask for a new one.'],
  token_expired: [410, 'This enrolment token has expired. Ask for a new one.'],
  token_wrong_name: [403, 'This enrolment token is for another host name.'],
  shared_secret_wrong: [401, 'The enrolment secret is not accepted.'],
  host_exists: [409, 'A host of this name is enrolled. Revoke it first, then enrol again.'],
  csr_invalid: [400, 'The certificate request is not valid.'],

  not_signed_in: [401, 'Sign in first.'],
  session_expired: [401, 'Your session has ended. Sign in again.'],
  csrf: [403, 'This page is out of date. Reload it and try again.'],
  forbidden: [403, 'You may not do this.'],
  session_kind: [403, 'This has to be done in the browser.'],
  fresh_sign_in_required: [403, 'Sign in again first: your last sign-in is more than 5 minutes old.'],
  passkey_required: [403, 'This needs your passkey.'],
  passkey_rejected: [403, 'The passkey could not be verified.'],
  passkey_unsigned: [
    403,
    'Hosts do not know this passkey yet: it waits for an operator to sign for it with the trust root, which is off line.',
  ],
  passkey_exists: [409, 'This passkey is already registered.'],
  passkey_last: [409, 'This is your last passkey. Add another one before you remove it.'],
  recovery_code_required: [403, 'Ask an administrator for a recovery code.'],
  recovery_code_wrong: [403, 'This recovery code is not valid.'],
  not_an_approver: [403, 'You may not approve this request.'],
  account_disabled: [403, 'This account is disabled at its identity provider.'],
  binding_held: [403, 'The link between your sign-in and this Linux account waits for an operator.'],
  confirm_truncated: [409, 'The command is too long to show whole. Confirm that you approve it unseen.'],
  already_decided: [409, 'This request was already answered.'],
  expired: [410, 'This request has expired. Run the command again.'],
  superseded: [409, 'This request is no longer valid. Run the command again.'],
  escrow_off: [404, 'This server keeps no break-glass passwords.'],
  escrow_busy: [503, 'Too many break-glass passwords are being kept right now. Try again in a moment.'],
  escrow_failed: [503, 'Whoever keeps the break-glass passwords did not do it. The log of the server says why.'],
  escrow_nothing: [404, 'Nothing is kept for this host.'],
  second_person_required: [403, 'Another administrator has to confirm this first.'],
  second_person_is_first: [403, 'You asked for this, so somebody else has to confirm it.'],
  reveal_request_over: [410, 'This request is over. Ask for the password again.'],
  directory_off: [404, 'This server serves no directory.'],
  unreadable: [500, 'What is stored of this cannot be read, so nothing is decided. Tell an operator of the server.'],
  policy_broken: [503, 'The approval policy cannot be read, so nothing is decided. An operator must repair it.'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type ErrorCode = keyof typeof ERRORS;

/** A refusal on its way to the client. `detail` is for the log only. */
export class Refusal extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, detail?: string) {
    super(ERRORS[code][1]);
    this.code = code;
    this.status = ERRORS[code][0];
    this.detail = detail;
  }

  /** The body of every error answer. */
  toJSON(): { error: { code: ErrorCode; message: string } } {
    return { error: { code: this.code, message: this.message } };
  }
}
