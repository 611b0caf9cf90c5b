import { completionsCommand } from '#shared/command-line/completions-command.ts';
import type { AgentContext } from './context.ts';

export const completions = completionsCommand<AgentContext>(({ out }, text) => out.write(text));
