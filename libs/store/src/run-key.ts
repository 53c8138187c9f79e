/** The primary key of a run. */
export interface RunKey {
  tenantId: string;
  runId: string;
}
