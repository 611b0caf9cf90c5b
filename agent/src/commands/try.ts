import { CommandError, EXIT, TRY_EXIT } from '../exit-codes.ts';
import { command, PATH_OPTIONS } from './context.ts';

export const tryCommand = command({
  name: 'try',
  help: 'rehearse an approval; nothing is run',
  options: { ...PATH_OPTIONS, user: { value: 'NAME', help: 'who asks, instead of who runs it' } },
  rest: 'COMMAND [ARGUMENT...]',
  exits: {
    [TRY_EXIT.approved]: 'approved',
    [TRY_EXIT.denied]: 'denied, or cancelled',
    [TRY_EXIT.expired]: 'expired',
    [TRY_EXIT.error]: 'could not be asked',
  },
  failure: TRY_EXIT.error,
  async run({ out }, { options, rest }) {
    if (rest.length === 0)
      throw new CommandError(EXIT.usage, 'Say what to rehearse: identree try systemctl restart nginx');
    const { rehearse } = await import('../gate/rehearse.ts');
    return rehearse(options, { user: options.user, words: rest.length }, out);
  },
});
