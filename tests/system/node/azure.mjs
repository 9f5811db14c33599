// Drives a running gateway with the client for Azure of OpenAI's SDK for Node. Prints one JSON object.
import { AzureOpenAI, toFile } from "openai";

const [endpoint, resource] = process.argv.slice(2);
const settings = { apiKey: "unused", apiVersion: "2024-06-01", maxRetries: 0 };
const client = new AzureOpenAI({ endpoint, ...settings });
const messages = [{ role: "user", content: "Say hello" }];
const found = {};

const answer = await client.chat.completions.create({ model: "plain", messages });
found.plain = { text: answer.choices[0].message.content, provider: answer.extra_fields.provider };

found.stream = "";
for await (const chunk of await client.chat.completions.create({ model: "plain", messages, stream: true })) {
  found.stream += chunk.choices[0].delta.content ?? "";
}

const file = await toFile(Buffer.from("RIFF"), "a.wav", { type: "audio/wav" });
found.transcription = (await client.audio.transcriptions.create({ model: "sound", file })).text;

found.response = (await client.responses.create({ model: "gpt-4o", input: "Hi" })).output_text;

const own = new AzureOpenAI({
  endpoint,
  ...settings,
  apiKey: "his-own-key-1234",
  defaultHeaders: { "x-bf-azure-endpoint": resource },
});
found.own = (await own.chat.completions.create({ model: "his", messages })).choices[0].message.content;

// With a base URL the client adds /deployments/… right behind it.
const based = new AzureOpenAI({ baseURL: `${endpoint}/openai`, ...settings });
found.baseURL = (await based.chat.completions.create({ model: "plain", messages })).choices[0].message.content;

console.log(JSON.stringify(found));
