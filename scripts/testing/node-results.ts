import { inspect } from 'node:util';
import type { TestResult } from './results.ts';

/** The part of node:test's `test:pass` and `test:fail` events that matters here. */
export interface NodeTestEvent {
  name: string;
  nesting: number;
  file?: string | undefined;
  line?: number | undefined;
  skip?: string | boolean | undefined;
  todo?: string | boolean | undefined;
  details: {
    duration_ms: number;
    type?: string | undefined;
    error?: { failureType?: string; cause?: unknown; message: string; stack?: string | undefined };
  };
}

/**
 * Turns node:test's events into leaf results. The events of nested tests come right before that of their parent, one
 * test file after the other; a parent only counts when it failed by itself (a hook, its own body), because its children
 * have already been counted. A suite's `file` is where `describe` was called, so it cannot be used to tell suites apart.
 */
export interface NodeCollector {
  add(passed: boolean, event: NodeTestEvent): TestResult[];
  /** What still waits for a parent that never came, because a process died. */
  rest(): TestResult[];
}

export function createNodeCollector(): NodeCollector {
  /** Per nesting level: results that wait for the name of their parent. */
  let levels: TestResult[][] = [];

  return {
    add(passed, event) {
      const { nesting, name } = event;
      const children = levels[nesting + 1] ?? [];
      levels = levels.slice(0, nesting + 1);
      for (const child of children) child.name.unshift(name);
      const own = children.length === 0 || failedByItself(passed, event) ? [toResult(passed, event)] : [];
      const results = [...children, ...own];
      if (nesting === 0) return results;
      levels[nesting] = [...(levels[nesting] ?? []), ...results];
      return [];
    },
    rest() {
      const left = levels.flat();
      levels = [];
      return left;
    },
  };
}

function failedByItself(passed: boolean, { details }: NodeTestEvent): boolean {
  return !passed && details.error?.failureType !== 'subtestsFailed';
}

function toResult(passed: boolean, event: NodeTestEvent): TestResult {
  const { name, file, line, details } = event;
  const base = {
    name: [name],
    file: file === undefined ? null : line === undefined ? file : `${file}:${line}`,
    durationMs: details.duration_ms,
  };
  const left = reason('skip', event.skip) ?? reason('todo', event.todo);
  if (left !== null) return { ...base, status: 'skipped', detail: left };
  if (passed) return { ...base, status: 'passed', detail: null };
  const { error } = details;
  const cause = error?.cause ?? error;
  return { ...base, status: 'failed', detail: typeof cause === 'string' ? cause : inspect(cause, { depth: 4 }) };
}

function reason(kind: string, value: string | boolean | undefined): string | null {
  if (value === undefined || value === false) return null;
  return typeof value === 'string' && value !== '' ? value : kind;
}
