import { completionsCommand } from '#shared/command-line/completions-command.ts';
import type { CommandIo } from './command.ts';

export const completions = completionsCommand<CommandIo>(({ out }, text) => out(text));
