import type { Sql } from "@downbeat/store/connect.ts";
import type { Schedule } from "../api-answers.ts";
import { ApiClient, ApiError } from "../api-client.ts";

export const demoTenant = "demo";
const demoEndpoint = "sample-receiver";
const demoSchedule = "every-10-seconds";

export interface DemoOptions {
  apiUrl: string;
  apiKey: string;
  receiverUrl: string;
  endpointSecret: string;
}

/** Makes the demo tenant, its endpoint and its schedule where they are missing: a start that was cut short may have made the first of them. */
export async function makeDemo({ apiUrl: url, apiKey, receiverUrl, endpointSecret }: DemoOptions): Promise<void> {
  const platform = new ApiClient({ url, apiKey });
  await unlessThere(platform.post("/api/v1/tenants", { slug: demoTenant, name: "Demo" }));
  const demo = new ApiClient({ url, apiKey, tenant: demoTenant });
  await unlessThere(demo.post("/api/v1/endpoints", { name: demoEndpoint, base_url: receiverUrl, secret: endpointSecret }));
  await unlessThere(
    demo.post("/api/v1/schedules", {
      name: demoSchedule,
      cron_expression: "*/10 * * * * *",
      timezone: "UTC",
      endpoint: demoEndpoint,
      target: { type: "http", path: "/demo" },
      input: { note: "made by downbeat dev" },
    }),
  );
}

/** Asks for one run now, so that the first call does not wait for the next instant. Not of a schedule that its user has paused or deleted. */
export async function runDemo({ apiUrl: url, apiKey }: Pick<DemoOptions, "apiUrl" | "apiKey">): Promise<void> {
  const demo = new ApiClient({ url, apiKey, tenant: demoTenant });
  try {
    const { state } = await demo.get<Schedule>(`/api/v1/schedules/${demoSchedule}`);
    if (state === "active") await demo.post(`/api/v1/schedules/${demoSchedule}/run`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** The receiver may have another port than at the last start. The API cannot edit endpoints yet. */
export async function pointEndpointAt(receiverUrl: string, admin: Sql): Promise<void> {
  await admin`
    update downbeat.endpoints endpoint set base_url = ${new URL(receiverUrl).href}, revision = endpoint.revision + 1, updated_at = now()
    from downbeat.tenants tenant
    where tenant.id = endpoint.tenant_id and tenant.slug = ${demoTenant} and endpoint.name = ${demoEndpoint} and endpoint.base_url <> ${new URL(receiverUrl).href}`;
}

async function unlessThere(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!(error instanceof ApiError) || error.problem.status !== 409) throw error;
  }
}
