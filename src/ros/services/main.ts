import { errorMessage } from '../../errors.js';
import { loadRcl } from '../environment.js';
import { Log } from '../log.js';
import type { Rcl } from '../rcl.js';
import { createServiceNode } from '../rclnodejs-internals.js';
import { parameterServices, requestRefusal } from './handlers.js';
import { NodeLink } from './node-link.js';
import { ParameterTable } from './parameter-table.js';
import { LIMIT, MAX_FREED_ENTRIES, TOO_MANY_ENTRIES, type FromNode } from './protocol.js';

/**
 * The process that serves the parameters and logger levels of a node, as `<its name>_services` in its namespace. Decoding one
 * request may take gigabytes and half a minute: the middleware creates as many elements as the request announces before
 * it reads the first one. So nothing that controls the robot shares a process with these services.
 *
 * Arguments: the node's fully qualified name, then ROS arguments. `node-services.ts` starts it, and it ends with the node.
 */
async function main([fullName = '', ...rosArguments]: readonly string[]): Promise<void> {
  const { rcl } = await loadRcl(process.env);
  await rcl.init(undefined, ['pi05', ...rosArguments]);
  process.on('disconnect', () => {
    rcl.shutdown();
    process.exit(0);
  });
  if (!process.connected) process.exit(0);
  const table = new ParameterTable();
  const link = new NodeLink((message) => process.send?.(message));
  process.on('message', (message: FromNode) => {
    switch (message.kind) {
      case 'declared':
        table.declare(message.parameters);
        return serve(rcl, fullName, table, link);
      case 'changed':
        return table.change(message.values);
      case 'response':
        return link.onResponse(message);
    }
  });
}

function serve(rcl: Rcl, fullName: string, table: ParameterTable, link: NodeLink): void {
  const slash = fullName.lastIndexOf('/');
  const node = createServiceNode(rcl, `${fullName.slice(slash + 1)}_services`, fullName.slice(0, slash), {
    onError: (error) => log.throttled('error', 'INTERNAL', errorMessage(error)),
    onMalformed: (reason) => link.refused(reason),
    maxEntries: LIMIT.entries,
    onEntries: (entries) => {
      if (entries > MAX_FREED_ENTRIES) process.exit(TOO_MANY_ENTRIES);
    },
  });
  const log = new Log(node.getLogger());
  for (const [name, service] of Object.entries(parameterServices(table, link))) {
    node.createBoundedService(`rcl_interfaces/srv/${service.type}`, `${fullName}/${name}`, async (request, entries) => {
      // A change that the node sent before this request came is now in the table.
      await new Promise(setImmediate);
      const reason = requestRefusal(request, entries);
      if (reason === undefined) return service.answer(request as never);
      link.refused(reason);
      return service.refuse(reason);
    });
  }
  node.spin();
}

await main(process.argv.slice(2));
