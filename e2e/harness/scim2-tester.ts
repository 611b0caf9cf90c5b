import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { pythonPackage } from '../../server/src/testing/python-package.ts';

/** Checks that people of the Python SCIM projects wrote against RFC 7643 and 7644; a client that nobody here wrote. */
const tester = pythonPackage('scim2-tester[httpx2]', '0.5.2', 'Python 3.10 or later');

const run = promisify(execFile);

const PROGRAM = `
import json, sys
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

url, token = sys.argv[1:3]
client = SyncSCIMClient(Client(base_url=url, headers={"Authorization": "Bearer " + token}))
print(json.dumps([
    {"status": r.status.name, "check": r.title, "resource": r.resource_type, "reason": r.reason}
    for r in check_server(client)
]))
`;

const results = z.array(
  z.object({ status: z.string(), check: z.string(), resource: z.string().nullable(), reason: z.string().nullable() }),
);
export type CheckResult = z.infer<typeof results>[number];

/** Installs the checks, once. @returns why there are none; null when they can be run */
export const installScimTester = tester.install;

/** Runs all checks. @param url address of a SCIM server */
export async function runScimTester(url: string, token: string): Promise<CheckResult[]> {
  const { stdout } = await run(tester.python, ['-I', '-c', PROGRAM, url, token], {
    timeout: 240_000,
    maxBuffer: 1 << 26,
  });
  return results.parse(JSON.parse(stdout));
}
