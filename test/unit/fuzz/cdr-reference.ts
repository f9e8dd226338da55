/**
 * A second reader of CDR, which shares no code with the first one (`src/messages`): it walks through a description of the type and
 * knows where each primitive value is. `rosbags_reader.py` compares it with a third one.
 */

export type Primitive = 'uint8' | 'uint32' | 'int32' | 'float64';
export type FieldType = Primitive | 'string' | { readonly sequence: FieldType } | Struct;
/** Fields by name, in their order. */
export interface Struct {
  readonly [field: string]: FieldType;
}

export type Value = number | Uint8Array | readonly Value[] | { readonly [field: string]: Value };

/** Where a value is in the message. `length`: the number of elements of a sequence or bytes of a string. */
export interface Place {
  readonly kind: Primitive | 'length' | 'text';
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export interface Reading {
  readonly value: { readonly [field: string]: Value };
  readonly places: readonly Place[];
}

const SIZE: Readonly<Record<Primitive, number>> = { uint8: 1, uint32: 4, int32: 4, float64: 8 };
const HEADER = 4;

const TIME = { sec: 'int32', nanosec: 'uint32' } as const;
const STD_HEADER = { stamp: TIME, frame_id: 'string' } as const;
const FLOATS = { sequence: 'float64' } as const;
const POINT = {
  ...{ positions: FLOATS, velocities: FLOATS, accelerations: FLOATS, effort: FLOATS },
  time_from_start: TIME,
} as const;

/** The message types that the node, the guard and replay read. */
export const STRUCTS = {
  'sensor_msgs/msg/Image': {
    ...{ header: STD_HEADER, height: 'uint32', width: 'uint32', encoding: 'string', is_bigendian: 'uint8' },
    ...{ step: 'uint32', data: { sequence: 'uint8' } },
  },
  'sensor_msgs/msg/CompressedImage': { header: STD_HEADER, format: 'string', data: { sequence: 'uint8' } },
  'sensor_msgs/msg/JointState': {
    ...{ header: STD_HEADER, name: { sequence: 'string' } },
    ...{ position: FLOATS, velocity: FLOATS, effort: FLOATS },
  },
  'std_msgs/msg/Float64': { data: 'float64' },
  'std_msgs/msg/String': { data: 'string' },
  'std_msgs/msg/Bool': { data: 'uint8' },
  'std_msgs/msg/Empty': {},
  'rosgraph_msgs/msg/Clock': { clock: TIME },
  'std_msgs/msg/Float64MultiArray': {
    layout: { dim: { sequence: { label: 'string', size: 'uint32', stride: 'uint32' } }, data_offset: 'uint32' },
    data: FLOATS,
  },
  'trajectory_msgs/msg/JointTrajectory': {
    ...{ header: STD_HEADER, joint_names: { sequence: 'string' }, points: { sequence: POINT } },
  },
} as const satisfies Record<string, Struct>;
export type TypeName = keyof typeof STRUCTS;

/** Thrown inside; a message for which it is thrown is not of its type. */
class Malformed extends Error {}

/** @returns undefined for bytes that are no message of this type: too short, not plain CDR, a string without its NUL. */
export function readReference(type: TypeName, cdr: Uint8Array): Reading | undefined {
  if (cdr.length < HEADER || cdr[0] !== 0 || cdr[1]! > 1) return undefined;
  const places: Place[] = [];
  try {
    const reader = new ReferenceReader(cdr, cdr[1] === 1, places);
    return { value: reader.struct(STRUCTS[type]), places };
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

class ReferenceReader {
  readonly #view: DataView;
  #at = HEADER;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly littleEndian: boolean,
    private readonly places: Place[],
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  struct(fields: Struct): { readonly [field: string]: Value } {
    return Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, this.#value(type)]));
  }

  #value(type: FieldType): Value {
    if (type === 'string') return this.#string();
    if (typeof type === 'string') return this.#primitive(type, type);
    return isSequence(type) ? this.#sequence(type.sequence) : this.struct(type);
  }

  #primitive(type: Primitive, kind: Place['kind']): number {
    const size = SIZE[type];
    while ((this.#at - HEADER) % size !== 0) this.#at++;
    this.#need(size);
    const offset = this.#at;
    this.places.push({ kind, offset, size });
    this.#at += size;
    if (type === 'uint8') return this.#view.getUint8(offset);
    if (type === 'uint32') return this.#view.getUint32(offset, this.littleEndian);
    if (type === 'int32') return this.#view.getInt32(offset, this.littleEndian);
    return this.#view.getFloat64(offset, this.littleEndian);
  }

  #string(): Uint8Array {
    const text = this.#bytes(this.#primitive('uint32', 'length'), 'text');
    if (text.length > 0 && text.at(-1) !== 0) throw new Malformed();
    return text.subarray(0, -1);
  }

  #sequence(type: FieldType): Value {
    const count = this.#primitive('uint32', 'length');
    if (type === 'uint8') return this.#bytes(count, 'uint8');
    const values: Value[] = [];
    // A huge count ends with the bytes, since every element has some.
    for (let i = 0; i < count; i++) values.push(this.#value(type));
    return values;
  }

  #bytes(length: number, kind: Place['kind']): Uint8Array {
    this.#need(length);
    if (length > 0) this.places.push({ kind, offset: this.#at, size: length });
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  #need(size: number): void {
    if (this.#at + size > this.bytes.length) throw new Malformed();
  }
}

function isSequence(type: Struct | { readonly sequence: FieldType }): type is { readonly sequence: FieldType } {
  return 'sequence' in type;
}
