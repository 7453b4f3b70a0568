// Calls a Ratel server as a stranger would: it knows the address and nothing else. The contracts come by reflection.
//
//   node client.mjs 127.0.0.1:7070
//
// Prints one JSON object with what it saw.

import grpc from "@grpc/grpc-js";
import { GrpcReflection } from "grpc-js-reflection-client";

const target = process.argv[2];
const plaintext = grpc.credentials.createInsecure();
const options = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };

async function describe(symbol, version = "v1") {
  const reflection = new GrpcReflection(target, plaintext, {}, version);
  const descriptor = await reflection.getDescriptorBySymbol(symbol);
  return { types: descriptor.getProtobufJsRoot(), definitions: descriptor.getPackageObject(options) };
}

async function connect(service) {
  const { definitions } = await describe(service);
  const Client = service.split(".").reduce((found, name) => found[name], definitions);
  return new Client(target, plaintext);
}

function call(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

// Writes all messages, and returns their acknowledgements, however many came in one response.
function acknowledge(client, messages) {
  return new Promise((resolve, reject) => {
    const call = client.StreamUsage();
    const received = [];
    call.on("data", (response) => received.push(...response.acknowledgements));
    call.on("error", reject);
    call.on("end", () => resolve(received));
    messages.forEach((message) => call.write(message));
    call.end();
  });
}

// Turns a failed call into what google.rpc.Status carries in the trailers.
async function explain(error) {
  const { types: statusTypes } = await describe("google.rpc.Status");
  const { types: detailTypes } = await describe("google.rpc.ErrorInfo");
  const status = statusTypes.lookupType("google.rpc.Status").decode(error.metadata.get("grpc-status-details-bin")[0]);
  const details = status.details.map((any) => {
    const type = detailTypes.lookupType(any.typeUrl.split("/").pop());
    return { type: type.name, ...type.toObject(type.decode(any.value)) };
  });
  return { code: grpc.status[error.code], message: status.message, details };
}

const services = await new GrpcReflection(target, plaintext, {}, "v1alpha").listServices();

const rating = await connect("ratel.rating.v1.RatingService");
const bands = [{ lower_limit: "0", unit_price: "0.5" }, { lower_limit: "50", unit_price: "0.4" }];
const quote = await call(rating, "Quote", { quantity: "70", cumulative: true, bands, currency: "USD" });

const usage = await connect("ratel.usage.v1.UsageService");
const seconds = String(Date.UTC(2024, 6, 5) / 1000);
// A map that was learnt by reflection is a list of its entries here, which is the same on the wire.
const values = [{ key: "gigabytes", value: "1.5" }];
const event = { account_id: "node", meter_id: "storage", event_time: { seconds }, values };
const acknowledgements = await acknowledge(usage, [
  { sequence: "1", events: [{ ...event, event_id: "a" }, { ...event, event_id: "b" }] },
  { sequence: "2", events: [{ ...event, event_id: "a" }, { ...event, event_id: "c", account_id: "nobody" }] },
]);

const refusal = await call(rating, "Quote", { quantity: "1e999", cumulative: true, bands: [{ lower_limit: "x" }] }).catch(
  explain,
);

console.log(JSON.stringify({ services, quote, acknowledgements, refusal }));
[rating, usage].forEach((client) => client.close());
