import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * `npm run pictures`: takes the screenshots and the terminal transcript of the newest test run into docs/images and the
 * README, so that both show what the product really does. `npm run test:long -- browser` and `npm run desktop:pictures` take
 * the screenshots, the tests of hosts the transcript.
 */

const root = join(import.meta.dirname, '..');
const results = join(root, 'test-results');
const images = join(root, 'docs/images');

const PICTURES = {
  'approval-phone.png': 'screenshots/approval-phone-light.png',
  'inbox.png': 'screenshots/inbox-desktop-light.png',
  'desktop.png': 'desktop/09-a-request-en-light.png',
};

mkdirSync(images, { recursive: true });
for (const [name, source] of Object.entries(PICTURES)) {
  if (existsSync(join(results, source))) copyFileSync(join(results, source), join(images, name));
  else process.stdout.write(`not there: test-results/${source}\n`);
}

const transcript = join(results, 'transcripts/sudo.txt');
if (existsSync(transcript)) {
  const text = readFileSync(transcript, 'utf8').replace(/\r/g, '').trimEnd();
  const readme = join(root, 'README.md');
  const block = `<!-- transcript:begin -->\n\n\`\`\`\n${text}\n\`\`\`\n\n<!-- transcript:end -->`;
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8').replace(/<!-- transcript:begin[\s\S]*?<!-- transcript:end -->/, () => block),
  );
} else process.stdout.write('not there: test-results/transcripts/sudo.txt\n');
