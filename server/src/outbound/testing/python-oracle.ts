import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const PROGRAM = `
import ipaddress, sys
for line in sys.stdin:
    a = ipaddress.ip_address(line.strip())
    site = a.version == 6 and a.is_site_local
    print(int(a.is_global and not a.is_multicast and not a.is_reserved and not a.is_link_local and not site))
`;

/** Which addresses Python's own list of registries calls reachable by everybody: global, and one machine's. */
export async function pythonReachable(addresses: readonly string[]): Promise<boolean[]> {
  const python = spawn('python3', ['-I', '-c', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(python, 'close');
  python.stdin.end(addresses.join('\n'));
  const out = await text(python.stdout);
  const [code] = await ended;
  if (code !== 0) throw new Error(`python3 ended with ${code}`);
  return out
    .trim()
    .split('\n')
    .map((line) => line === '1');
}
