// Holds the boards' files, given as arguments, against board.ts: each becomes a module of TypeScript, in memory only.
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';

const options = { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.Node16, target: ts.ScriptTarget.ES2022, types: [] };
const modules = new Map(
  process.argv.slice(2).map((file) => {
    const text = `import type { Board } from './board.ts';\nexport const board: Board = ${readFileSync(file, 'utf8')};\n`;
    return [join(import.meta.dirname, `${basename(file, '.json')}.ts`), text];
  }),
);

const host = ts.createCompilerHost({ ...options, allowImportingTsExtensions: true });
const { readFile, fileExists, getSourceFile } = host;
host.readFile = (name) => modules.get(name) ?? readFile(name);
host.fileExists = (name) => modules.has(name) || fileExists(name);
host.getSourceFile = (name, ...rest) =>
  modules.has(name) ? ts.createSourceFile(name, modules.get(name), ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest);

const program = ts.createProgram([...modules.keys()], { ...options, allowImportingTsExtensions: true }, host);
const problems = ts.getPreEmitDiagnostics(program);
const format = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => import.meta.dirname, getNewLine: () => '\n' };
process.stdout.write(ts.formatDiagnostics(problems, format));
process.exit(modules.size === 0 || problems.length > 0 ? 1 : 0);
