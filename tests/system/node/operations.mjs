// Every operation but chat with OpenAI's SDK for Node. Prints one JSON object: what each came to.
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "unused", maxRetries: 0 });
const found = {};

async function collect(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

async function failure(attempt) {
  try {
    await attempt();
    return { name: "none" };
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null };
  }
}

const types = (events) => events.map((event) => event.type);
const bytes = async (response) => Buffer.from(await response.arrayBuffer()).toString("hex");
const sound = () => toFile(Buffer.from("0001ff", "hex"), "söund.mp3");
const picture = () => toFile(Buffer.from("89504e47", "hex"), "a.png", { type: "image/png" });

// Responses.
const answer = await client.responses.create({ model: "plain", input: "Hi" });
found.response = {
  text: answer.output_text,
  total: answer.usage.total_tokens,
  type: answer.extra_fields.request_type,
};
const events = await collect(client.responses.create({ model: "streamed", input: "Hi", stream: true }));
found.responseStream = types(events);
const helper = client.responses.stream({ model: "streamed", input: "Hi" });
let written = "";
helper.on("response.output_text.delta", (event) => (written += event.delta));
const final = await helper.finalResponse();
found.responseHelper = { written, text: final.output_text, status: final.status };
const bridged = client.responses.stream({ model: "groq/chat-only", input: "Hi" });
found.bridged = (await bridged.finalResponse()).output_text;
found.responseBroken = await failure(() => collect(client.responses.create({ model: "broken", input: "Hi", stream: true })));
found.responseError = await failure(() => client.responses.create({ model: "limited", input: "Hi" }));
found.inputTokens = (await client.responses.inputTokens.count({ model: "counted", input: "Hi" })).input_tokens;

// Completions, embeddings, moderations.
found.completion = (await client.completions.create({ model: "completed", prompt: "Say" })).choices[0].text;
const parts = await collect(client.completions.create({ model: "written", prompt: "Say", stream: true }));
found.completionStream = parts.map((part) => part.choices[0]?.text ?? "").join("");
found.embedding = (await client.embeddings.create({ model: "embedded", input: "x" })).data[0].embedding;
found.moderation = (await client.moderations.create({ input: "x" })).id;

// Pictures.
found.image = (await client.images.generate({ model: "drawn", prompt: "a cat" })).data[0].b64_json;
found.imageStream = types(await collect(client.images.generate({ model: "drawing", prompt: "a cat", stream: true })));
const edit = { model: "m", image: [await picture(), await picture()], prompt: "a hat" };
found.edit = (await client.images.edit(edit)).data[0].b64_json;
found.editStream = types(await collect(client.images.edit({ ...edit, stream: true })));

// Sound.
found.speech = await bytes(await client.audio.speech.create({ model: "spoken", voice: "alloy", input: "Hi" }));
found.transcription = (await client.audio.transcriptions.create({ model: "m", file: await sound() })).text;
const heard = client.audio.transcriptions.create({ model: "m", file: await sound(), stream: true });
found.transcriptionStream = types(await collect(heard));
found.translation = (await client.audio.translations.create({ model: "m", file: await sound() })).text;

// Files, batches, and what is only passed on.
const file = await client.files.create({ file: await toFile(Buffer.from("{}\n"), "f.jsonl"), purpose: "batch" });
found.file = {
  id: file.id,
  again: (await client.files.retrieve(file.id)).id,
  content: await bytes(await client.files.content(file.id)),
  deleted: (await client.files.delete(file.id)).deleted,
};
found.files = (await collect(client.files.list({ limit: 2 }))).map((one) => one.id);
const batch = await client.batches.create({
  input_file_id: "file-1",
  endpoint: "/v1/chat/completions",
  completion_window: "24h",
});
found.batch = [batch.status, (await client.batches.retrieve(batch.id)).status, (await client.batches.cancel(batch.id)).status];
const store = await client.vectorStores.create({ name: "n" });
found.vectorStore = (await client.vectorStores.retrieve(store.id)).id;

// Errors.
found.missing = await failure(() => client.embeddings.create({ model: "embedded", input: [] }));
found.unsupported = await failure(() => client.embeddings.create({ model: "groq/m", input: "x" }));
found.noFile = await failure(() => client.files.retrieve("file-none"));
found.limited = await failure(() => client.images.generate({ model: "limited", prompt: "a cat" }));

// Left in the middle.
const controller = new AbortController();
const endless = await client.responses.create({ model: "endless", input: "Hi", stream: true }, { signal: controller.signal });
for await (const _ of endless) break;
controller.abort();

console.log(JSON.stringify(found));
