import { command } from './context.ts';

export const combineBreakglass = command({
  name: 'combine-breakglass',
  help: 'put a break-glass password together from the shares of several people, a line each on standard input',
  options: {},
  async run({ print }) {
    const { combineHere } = await import('../break-glass/combine-here.ts');
    return combineHere(process.stdin, print);
  },
});
