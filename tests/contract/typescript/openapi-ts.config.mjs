// @hey-api/openapi-ts: what it reads and writes, in the folder where it is started.
export default {
  input: './openapi.json',
  output: { path: 'client', importFileExtension: '.js' },
};
