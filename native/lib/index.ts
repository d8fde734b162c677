/** libbpf-ts: the public API. */
import { addon } from "./addon.js";

export type {
  Anchor,
  MultiOptions,
  NetfilterOptions,
  NetkitOptions,
  TcxOptions,
  XdpMode,
  XdpOptions,
} from "./attach.js";
export { Btf } from "./btf/btf.js";
export * as codec from "./btf/codec.js";
export { type Codec, type CodecValue, codecOf } from "./btf/codec.js";
export { type BtfInfo, btfById, listBtf } from "./btf/kernel.js";
export { type ByteOrder, type FieldLayout, type Layout, type LayoutOptions, layoutOf } from "./btf/layout.js";
export type { BtfKind, BtfMember, BtfType, BtfTypeOf } from "./btf/types.js";
export { cText } from "./c-text.js";
export { possibleCpus } from "./cpus.js";
export { type AttachType, type LinkType, MapFlag, type MapType, type ProgramType } from "./enums.js";
export { BpfError, type BpfErrorDetails } from "./error.js";
export { FileLock } from "./file-lock.js";
export { type GenerateOptions, generate } from "./gen/generate.js";
export { FdHandle, removePin } from "./handle.js";
export type { LinkInfo, MapInfo, ProgramDetails, ProgramInfo } from "./info.js";
export { BpfLink } from "./link.js";
export { type LogHandler, type LogLevel, setLogHandler } from "./log.js";
export { BpfMap, type MapCreateOptions, type UpdateFlag, type UpdateOptions } from "./map.js";
export type { Batch, BatchOptions } from "./map-batch.js";
export { inNetNamespace, interfaceIndex, interfaceName } from "./net-namespace.js";
export { type NetlinkMessage, type NetlinkRequest, NetlinkSocket, type NetlinkSocketOptions } from "./netlink.js";
export { NetlinkListener, type NetlinkListenerOptions, type NetlinkNotification } from "./netlink-listener.js";
export { Attributes, attribute, hostU16, hostU32 } from "./netlink-message.js";
export { BpfObject, type MapSpec, type ObjectOpenOptions, type ProgramSpec } from "./object.js";
export { type PeerCredentials, peerCredentials } from "./peer.js";
export {
  type AttachMode,
  type Features,
  helperNumbers,
  probeAttach,
  probeFeatures,
  probeHelper,
  probeKfunc,
  probeMapType,
  probeProgramType,
} from "./probe.js";
export { BpfProgram, type TestRunOptions, type TestRunResult } from "./program.js";
export { type HookQuery, queryNetkit, queryTcx, queryXdp, setXdp, type XdpQuery } from "./query.js";
export { RingBuffer, type RingBufferOptions } from "./ring-buffer.js";
export { type ElementToJson, elementToJson, isTyped, valuesOf } from "./show/element.js";
export { memoryOf } from "./show/fdinfo.js";
export { type NetShow, showNet } from "./show/net.js";
export { findPins, type PinKind, type Pins } from "./show/pins.js";
export { type ShowOptions, showLinks, showMaps, showPrograms } from "./show/show.js";
export { bytesToJson, type ToJson, typeToJson } from "./show/type-json.js";
export {
  attachTc,
  detachTc,
  ensureClsact,
  listTcFilters,
  removeClsact,
  type TcAttachOptions,
  type TcDirection,
  type TcFilter,
  type TcFilterInfo,
} from "./tc.js";
export { ticksPerSecond } from "./tick.js";
export { type MapTypeSource, TypedMap, type TypedMapOptions } from "./typed-map.js";
export type { VariableSpec } from "./variables.js";

/** The version of the libbpf inside, such as "v1.4". */
export function libbpfVersion(): string {
  return addon.libbpfVersion();
}
