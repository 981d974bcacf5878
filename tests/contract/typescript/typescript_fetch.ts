// What a user of a client by openapi-generator's typescript-fetch writes: create a session, follow it to its end, read
// what came of it. Reads {url, token, repo, command} from standard input; writes what it saw, as JSON.
import { text } from 'node:stream/consumers';

import {
  ArtifactsApi,
  Configuration,
  type EventOut,
  EventOutFromJSON,
  EventsApi,
  ProblemFromJSON,
  ResponseError,
  SessionsApi,
} from './client/index.js';

const { url, token, repo, command } = JSON.parse(await text(process.stdin));
const configuration = new Configuration({ basePath: url, accessToken: token });
const sessions = new SessionsApi(configuration);

/** The events of a stream. An event is one line `data: …`; comments keep the connection open. */
async function* read(response: Response): AsyncGenerator<EventOut> {
  if (response.body === null) return;
  let rest = '';
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data: ')) yield EventOutFromJSON(JSON.parse(line.slice(6)));
    }
  }
}

async function codeOfUnknown(): Promise<string | undefined> {
  try {
    await sessions.getSession({ sessionId: 'ses_0000000000000000' });
  } catch (error) {
    if (error instanceof ResponseError) return ProblemFromJSON(await error.response.json()).code;
    throw error;
  }
  return undefined;
}

const session = await sessions.createSession({ sessionIn: { repo, command } });
const sessionId = session.id;
const run = session.runs[0];
if (run === undefined) throw new Error('a new session has a run');

const { raw } = await new EventsApi(configuration).streamEventsRaw({ sessionId, runId: run.id });
const types: string[] = [];
let output = '';
let ended: string | null = null;
for await (const event of read(raw)) {
  types.push(event.type);
  switch (event.type) {
    case 'output':
      output += event.data.text;
      break;
    case 'run.ended':
      ended = event.data.state;
      break;
  }
}

const artifacts = new ArtifactsApi(configuration);
const finished = await sessions.getRun({ sessionId, runId: run.id });
const seen = {
  types,
  output,
  ended,
  patch: await (await artifacts.patch({ sessionId })).text(),
  diff: await artifacts.diff({ sessionId }),
  bundle: await (await artifacts.bundle({ sessionId })).slice(0, 12).text(),
  head: finished.headSha,
  pull: finished.pullRequest?.number,
  unknown: await codeOfUnknown(),
};
console.log(JSON.stringify(seen));
