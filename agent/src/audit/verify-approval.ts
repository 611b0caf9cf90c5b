import { readFile, stat } from 'node:fs/promises';
import { approvalBundle, verifyApprovalBundle } from '#shared/approval-bundle.ts';
import { shellQuote, visibleText } from '#shared/visible-text.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { trustFile } from '../state/identity.ts';

const MAX_BYTES = 16 * 1024 * 1024;

async function readJson(path: string): Promise<unknown> {
  try {
    if ((await stat(path)).size > MAX_BYTES) throw new CommandError(EXIT.failed, `${path} is too large.`);
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const why =
      error instanceof SyntaxError ? 'is not JSON' : `cannot be read (${(error as NodeJS.ErrnoException).code})`;
    throw new CommandError(EXIT.failed, `${path} ${why}.`);
  }
}

/** `identree verify-approval`: checks an exported decision offline, against keys that the bundle has no say in. */
export async function verifyApprovalFile(
  file: string,
  trustPath: string,
  options: { json: boolean },
  print: (line: string) => void,
): Promise<number> {
  const bundle = approvalBundle.safeParse(await readJson(file));
  if (!bundle.success) throw new CommandError(EXIT.failed, `${file} is not an exported approval.`);
  const trust = trustFile.safeParse(await readJson(trustPath));
  if (!trust.success) {
    throw new CommandError(
      EXIT.failed,
      `${trustPath} is not a trust file. Make one on the server: identree-server trust show`,
    );
  }
  const result = await verifyApprovalBundle(bundle.data, trust.data);
  if (options.json) {
    print(
      JSON.stringify(
        result.ok
          ? { valid: true, verdict: result.verdict, erased: result.erased }
          : { valid: false, problem: result.problem },
      ),
    );
    return result.ok ? EXIT.ok : EXIT.failed;
  }
  if (!result.ok) {
    print(`NOT VALID: ${result.problem}`);
    return EXIT.failed;
  }
  const { verdict } = result;
  const { record } = bundle.data;
  const by = verdict.approvers.map((approver) => `${approver.username} (${approver.subject} at ${approver.issuer})`);
  print(`VALID: ${verdict.decision}${verdict.class ? `, class ${verdict.class}` : ''}`);
  print(`Request:  ${verdict.challengeId}`);
  print(`Host:     ${record.hostId}`);
  print(`User:     ${visibleText(record.user)} as ${visibleText(record.runAs.user)}`);
  print(
    `Command:  ${visibleText(record.argv.map(shellQuote).join(' '))}${record.argvTruncated ? ' … (truncated)' : ''}`,
  );
  print(`By:       ${by.length > 0 ? visibleText(by.join(', ')) : 'nobody (policy)'}`);
  print(`When:     ${new Date(verdict.iat * 1000).toISOString()}`);
  if (result.erased > 0)
    print(`Erased:   of ${result.erased} of its ${bundle.data.events.length} events the log has only the hash left`);
  return EXIT.ok;
}
