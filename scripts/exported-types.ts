import { join } from 'node:path';
import { API, NodeBuilderFlags } from 'typescript/unstable/sync';

/**
 * The types of what files export, as the compiler prints them: what a file hands out, whoever may name it.
 *
 * @param project path of a `tsconfig.json` from the root; the files belong to it
 * @returns file → name of an export → its type
 */
export function readExportedTypes(
  root: string,
  project: string,
  files: readonly string[],
): Map<string, Map<string, string>> {
  const api = new API({ cwd: root });
  try {
    const [found] = api.updateSnapshot({ openProjects: [join(root, project)] }).getProjects();
    if (!found) throw new Error(`${project} is no TypeScript project`);
    const { program, checker } = found;
    return new Map(
      files.map((file) => {
        const source = program.getSourceFile(join(root, file));
        const module = source && checker.getSymbolAtLocation(source);
        if (!module) throw new Error(`${file} is no module of ${project}`);
        const types = checker.getExportsOfModule(module).map((symbol) => {
          const type = checker.getTypeOfSymbol(symbol);
          return [
            symbol.name,
            type ? checker.typeToString(type, undefined, NodeBuilderFlags.NoTruncation) : '',
          ] as const;
        });
        return [file, new Map(types)];
      }),
    );
  } finally {
    api.close();
  }
}
