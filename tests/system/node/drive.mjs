// Drives a running gateway with OpenAI's SDK for Node. Prints one JSON object: what each scenario came to.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "Say hello" }];
const found = {};

const answer = await client.chat.completions.create({ model: "gpt-4o", messages });
found.plain = { text: answer.choices[0].message.content, provider: answer.extra_fields.provider };

let text = "";
let usage = null;
for await (const chunk of await client.chat.completions.create({ model: "streamed", messages, stream: true })) {
  text += chunk.choices[0].delta.content ?? "";
  usage = chunk.usage ?? usage;
}
found.stream = { text, total: usage.total_tokens };

const runner = client.chat.completions.stream({ model: "streamed", messages });
found.accumulated = (await runner.finalChatCompletion()).choices[0].message.content;

async function failure(model, stream) {
  try {
    const result = await client.chat.completions.create({ model, messages, stream });
    if (stream) for await (const _ of result);
    return { name: "none" };
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null };
  }
}
found.limited = await failure("limited", false);
found.limitedStream = await failure("limited", true);
found.broken = await failure("broken", true);
found.missing = await failure("", false);

found.models = (await client.models.list()).data.map((model) => model.id);

const controller = new AbortController();
const endless = await client.chat.completions.create({ model: "endless", messages, stream: true }, { signal: controller.signal });
for await (const _ of endless) break;
controller.abort();

console.log(JSON.stringify(found));
