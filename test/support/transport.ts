// Which transport the suites run on: `TRANSPORT=node npx tap test/integration/http-*.test.ts` for the second one.
export const transportUnderTest = process.env['TRANSPORT'] === 'node' ? 'node' : 'uws';
