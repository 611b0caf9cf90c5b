import { stateFiles } from '../paths.ts';
import { command, PATH_OPTIONS } from './context.ts';

export const verifyApproval = command({
  name: 'verify-approval',
  help: 'check an exported approval offline',
  options: {
    ...PATH_OPTIONS,
    trust: { value: 'FILE', help: 'the keys to believe, instead of those that this host has pinned' },
    json: { help: 'for programs' },
  },
  operands: { file: {} },
  async run({ print }, { options, operands }) {
    const { verifyApprovalFile } = await import('../audit/verify-approval.ts');
    const trust = options.trust ?? stateFiles(options.state).trust;
    return verifyApprovalFile(operands.file, trust, { json: options.json }, print);
  },
});
