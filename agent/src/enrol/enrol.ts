import { rm } from 'node:fs/promises';
import { parseEnrolmentToken } from '#shared/enrolment-token.ts';
import { type EnrolmentGrant, type EnrolRequest, enrolResponse, HOST_API } from '#shared/host-api.ts';
import { ENROLMENT_TAG } from '#shared/http-signature.ts';
import { hostName } from '#shared/names.ts';
import { writeGranted } from '../certificates/authorities.ts';
import { createCertificateStore } from '../certificates/store.ts';
import { type Reply, readFailure, readReply } from '../client/reply.ts';
import { signRequest } from '../client/sign-request.ts';
import type { Transport } from '../client/transport.ts';
import { certificateFolder, stateFiles } from '../paths.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { checkpointText, NOTHING_SEEN } from '../state/checkpoint.ts';
import { createCounterFile } from '../state/counter.ts';
import { type Identity, isEnrolled, prepareStateFolder } from '../state/identity.ts';
import { machineId } from '../state/machine-id.ts';
import { AGENT_VERSION } from '../version.ts';
import { checkGrant, GRANT_PROBLEMS } from './check-grant.ts';
import { generateHostKeys, type HostKeys } from './host-keys.ts';
import { osInfo } from './os-info.ts';

/** How the operator vouches for this host. */
export type EnrolmentCredential = { token: string } | { sharedSecret: string };

export type EnrolmentResult =
  | {
      ok: true;
      state: EnrolmentGrant['state'];
      hostId: string;
      hostname: string;
      externalUrl: string;
      trustRoot: string;
      apiKey: string;
    }
  | { ok: false; message: string };

/** Files first, identity last: only a complete enrolment counts as one. */
async function pin(state: string, grant: EnrolmentGrant, keys: HostKeys, clock: Clock): Promise<void> {
  const files = stateFiles(state);
  const identity: Identity = {
    v: 1,
    hostId: grant.hostId,
    hostname: grant.hostname,
    serverId: grant.serverId,
    externalUrl: grant.externalUrl,
    apiKeyId: keys.api.kid,
    enrolledAt: clock.now(),
  };
  const trust = { serverId: grant.serverId, trustRoot: grant.trustRoot, verificationKeys: grant.verificationKeys };
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  await atomicWrite(files.apiKey, keys.api.pem);
  await atomicWrite(files.trust, json(trust), 0o644);
  await atomicWrite(files.approverKeys, `${grant.approverKeys}\n`, 0o644);
  await atomicWrite(files.checkpoint, checkpointText(NOTHING_SEEN));
  await createCounterFile(files.counter);
  // Told to who this host was before.
  await rm(files.clientDefaults, { force: true });
  const certificates = createCertificateStore({
    folder: certificateFolder(state),
    lock: files.certificateLock,
    clock,
  });
  await certificates.put({ certificate: grant.certificate, key: keys.tls.pem, ca: grant.caBundle });
  await writeGranted(files.authorities, grant.caBundle);
  await atomicWrite(files.identity, json(identity));
}

/**
 * Makes this host's keys, has them accepted by the server and pins the server's. Nothing is written before everything
 * in the answer has been checked; a live identity is replaced only when asked to.
 */
export async function enrol(
  deps: { transport: Transport; clock: Clock; random: Random },
  input: { credential: EnrolmentCredential; serverUrl: string; hostname: string; state: string; replace: boolean },
): Promise<EnrolmentResult> {
  const refuse = (message: string): EnrolmentResult => ({ ok: false, message });
  await prepareStateFolder(input.state);
  if (!input.replace && (await isEnrolled(input.state))) {
    return refuse('This host is enrolled already. To give it a new identity, add --replace.');
  }
  if (!hostName.safeParse(input.hostname).success) {
    return refuse(`"${input.hostname}" is not a host name. Name it with --hostname.`);
  }
  const token = 'token' in input.credential ? parseEnrolmentToken(input.credential.token) : null;
  if ('token' in input.credential && token === null) {
    return refuse(
      'This is not an enrolment token. It starts with idt1. and is printed by `identree-server hosts token`.',
    );
  }

  const keys = await generateHostKeys(input.hostname);
  const nonce = randomText(deps.random);
  const body: EnrolRequest = {
    reports: true,
    ...('token' in input.credential
      ? { token: input.credential.token.trim() }
      : { sharedSecret: input.credential.sharedSecret }),
    hostname: input.hostname,
    machineId: await machineId({ fallback: stateFiles(input.state).machineId, random: deps.random }),
    nonce,
    apiKey: keys.api.public,
    csr: keys.tls.csr,
    agentVersion: AGENT_VERSION,
    osInfo: await osInfo(),
  };
  const reply = await send(deps, input.serverUrl, body, keys);
  if (reply.kind === 'refused') return refuse(reply.message);
  if (reply.kind === 'aborted') return refuse('Cancelled.');
  if (reply.kind !== 'ok') return refuse(`${input.serverUrl} could not enrol this host: ${reply.message}`);

  const checked = await checkGrant(reply.value.grant, {
    fingerprint: token?.fingerprint ?? null,
    nonce,
    hostname: input.hostname,
    tlsKeyPem: keys.tls.pem,
    now: deps.clock.now(),
  });
  if (!checked.ok) {
    return refuse(`The answer is not accepted and nothing was written: ${GRANT_PROBLEMS[checked.problem]}.`);
  }
  const { grant } = checked;
  await pin(input.state, grant, keys, deps.clock);
  return {
    ok: true,
    state: grant.state,
    hostId: grant.hostId,
    hostname: grant.hostname,
    externalUrl: grant.externalUrl,
    trustRoot: grant.trustRoot.kid,
    apiKey: keys.api.kid,
  };
}

async function send(
  deps: { transport: Transport; clock: Clock; random: Random },
  serverUrl: string,
  body: EnrolRequest,
  keys: HostKeys,
): Promise<Reply<{ grant: string }>> {
  const bytes = Buffer.from(JSON.stringify(body));
  const path = `${HOST_API}/enroll`;
  const signed = signRequest({ method: 'POST', targetUri: `${serverUrl}${path}`, body: bytes }, keys.api, {
    created: Math.floor(deps.clock.now() / 1000),
    nonce: randomText(deps.random, 18),
    keyid: keys.api.kid,
    tag: ENROLMENT_TAG,
  });
  try {
    const answer = await deps.transport.request({
      method: 'POST',
      path,
      headers: { ...signed, 'content-type': 'application/json' },
      body: bytes,
      timeoutMs: 15_000,
    });
    return readReply(answer, enrolResponse);
  } catch (error) {
    return readFailure(error);
  }
}
