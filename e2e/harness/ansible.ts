import { pythonPackage } from '../../server/src/testing/python-package.ts';

/** The version is the one that the page about automation says that it was tried with. */
const ansible = pythonPackage('ansible-core', '2.19.14', 'Python 3.11 or later');

/** How a playbook is started: the interpreter by its path, since the scripts beside it name the folder they were made in. */
export const ANSIBLE_PLAYBOOK: readonly string[] = [ansible.python, '-I', '-m', 'ansible.cli.playbook'];

/** Installs ansible-core, once. @returns why there is none; null when it can be run */
export const installAnsible = ansible.install;
