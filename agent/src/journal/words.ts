import type { JournalName, JournalProblem } from '#shared/journal-head.ts';

/** What a journal is of. */
export const JOURNAL_WORDS: Record<JournalName, string> = {
  breakGlass: 'uses of the break-glass password',
  offlineGrants: 'commands by offline grants',
};

const PROBLEMS: Record<JournalProblem, string> = {
  went_back: 'the server has seen entries of it that are missing here',
  forked: 'it is not the one that the server has seen',
  gap: 'a part of it, of after what the server has seen, cannot be shown any more',
  unreadable: 'it cannot be read',
};

/** What is wrong with a journal, and what to do. */
export const journalProblemText = (problem: JournalProblem): string =>
  `${PROBLEMS[problem]}. Somebody changed it, or put an older copy of this machine back: find out who. Then an operator takes it as it is, on the page of this host in the console.`;
