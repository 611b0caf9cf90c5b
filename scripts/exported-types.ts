import { join } from 'node:path';
import { isInterfaceDeclaration, isTypeAliasDeclaration } from 'typescript/unstable/ast';
import { API, type Checker, NodeBuilderFlags, type Type } from 'typescript/unstable/sync';

/** A type as the compiler prints it, at full length. */
function print(checker: Checker, type: Type | undefined, flags = 0): string {
  return type ? checker.typeToString(type, undefined, NodeBuilderFlags.NoTruncation | flags) : '';
}

/** The type that a name stands for: itself, and each of its members, which are not part of what is printed for a name. */
function printWhole(checker: Checker, type: Type): string {
  const members = checker
    .getPropertiesOfType(type)
    .map((member) => `${member.name}: ${print(checker, checker.getTypeOfSymbol(member))}`);
  return [print(checker, type, NodeBuilderFlags.InTypeAlias), ...members].join('; ');
}

/**
 * The types of what files export, as the compiler prints them, and of what types they give a name to, members and all: what
 * a file hands out, whoever may name it.
 *
 * @param project path of a `tsconfig.json` from the root; the files belong to it
 * @returns file → name of an export or of a type → what is printed
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
        const exported = checker
          .getExportsOfModule(module)
          .map((symbol) => [symbol.name, print(checker, checker.getTypeOfSymbol(symbol))] as const);
        const named = source.statements
          .filter((node) => isInterfaceDeclaration(node) || isTypeAliasDeclaration(node))
          .flatMap(({ name }) => {
            const symbol = checker.getSymbolAtLocation(name);
            return symbol ? [[name.text, printWhole(checker, checker.getDeclaredTypeOfSymbol(symbol))] as const] : [];
          });
        return [file, new Map([...exported, ...named])];
      }),
    );
  } finally {
    api.close();
  }
}
