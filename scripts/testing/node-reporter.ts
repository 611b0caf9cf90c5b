import { createNodeCollector, type NodeTestEvent } from './node-results.ts';
import { formatFileTime, formatResult } from './results.ts';

type ReporterEvent =
  | { type: 'test:pass' | 'test:fail'; data: NodeTestEvent }
  | { type: 'test:stdout' | 'test:stderr'; data: { message: string } }
  | { type: 'test:summary'; data: { file?: string; duration_ms: number } }
  | { type: 'other' };

/** A reporter for `node --test`: one result per line, the time of each file, and what tests print in between. */
export default async function* report(source: AsyncIterable<ReporterEvent>): AsyncGenerator<string> {
  const collector = createNodeCollector();
  for await (const event of source) {
    if (event.type === 'test:pass' || event.type === 'test:fail') {
      for (const result of collector.add(event.type === 'test:pass', event.data)) yield formatResult(result);
    } else if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      yield event.data.message.endsWith('\n') ? event.data.message : `${event.data.message}\n`;
    } else if (event.type === 'test:summary' && event.data.file !== undefined) {
      yield formatFileTime({ file: event.data.file, durationMs: event.data.duration_ms });
    }
  }
  for (const result of collector.rest()) yield formatResult(result);
}
