import { NODE_NAME } from '../config/file.js';

/** What the guard's node is called, and the ROS arguments that give it the topics of the policy's node. */
export interface GuardArguments {
  /** The policy's node name, without namespace. */
  readonly policyName: string;
  /** For `rcl.init`: the guard's node must be created as `policy_node_guard`. */
  readonly argv: readonly string[];
}

const NAME_RULE = /^(?:(\w+):)?__(?:node|name):=(.*)$/;

/**
 * Rewrites the policy's ROS arguments for the guard's node: a new node name gets `_guard`, rules for the policy's node alone
 * apply to the guard's, and the private names `~` of the policy stay the policy's.
 * @param argv the arguments of the policy's process, such as `--ros-args -r __node:=arm -r ~/joints:=/joint_states`.
 */
export function guardArguments(argv: readonly string[]): GuardArguments {
  const rules = remapRules(argv);
  const names = [...rules.values()].map((rule) => NAME_RULE.exec(rule)).filter((match) => match !== null);
  const policyName = names.find(([, node]) => node === undefined || node === NODE_NAME)?.[2] ?? NODE_NAME;
  const rewritten = argv.map((argument, index) => {
    const rule = rules.get(index);
    return rule === undefined ? argument : rewriteRule(rule, policyName);
  });
  return { policyName, argv: rewritten };
}

/** A topic of the configuration for the guard's node: `~` is the policy's name. */
export function policyTopic(topic: string, policyName: string): string {
  return topic.replace(/^((?:rostopic|rosservice):\/\/)?~(?=\/|$)/, (_, scheme: string | undefined) => {
    return `${scheme ?? ''}${policyName}`;
  });
}

function rewriteRule(rule: string, policyName: string): string {
  const name = NAME_RULE.exec(rule);
  if (name !== null && (name[1] === undefined || name[1] === NODE_NAME)) return `__node:=${name[2]}_guard`;
  const own = [NODE_NAME, policyName].find((node) => rule.startsWith(`${node}:`) && !rule.startsWith(`${node}:=`));
  const [from = '', to] = (own === undefined ? rule : rule.slice(own.length + 1)).split(':=', 2);
  if (to === undefined) return rule;
  return `${policyTopic(from, policyName)}:=${policyTopic(to, policyName)}`;
}

/** The rules after `-r` and `--remap`, by their index in `argv`. */
function remapRules(argv: readonly string[]): Map<number, string> {
  const rules = new Map<number, string>();
  let ros = false;
  for (const [index, argument] of argv.entries()) {
    if (argument === '--ros-args') ros = true;
    else if (argument === '--') ros = false;
    else if (ros && ['-r', '--remap'].includes(argv[index - 1] ?? '')) rules.set(index, argument);
  }
  return rules;
}
