/** Samples of Prometheus's text format by series: `name{label="value"}`, labels in their order. */
export function samplesOf(text: string): Record<string, number> {
  const samples: Record<string, number> = {};
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const end = line.lastIndexOf(" ");
    samples[line.slice(0, end)] = Number(line.slice(end + 1));
  }
  return samples;
}

/** What a registry tells at this moment. */
export async function readSamples(registry: { metrics(): Promise<string> }): Promise<Record<string, number>> {
  return samplesOf(await registry.metrics());
}

/** What a process tells at its operations port. */
export async function scrape(url: string): Promise<Record<string, number>> {
  const response = await fetch(`${url}/metrics`);
  if (response.status !== 200) throw new Error(`${url}/metrics answered ${response.status}`);
  return samplesOf(await response.text());
}
