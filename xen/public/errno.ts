// SPDX-License-Identifier: MIT
/** Error numbers of hypercalls, which return them negated. Rules: Xen public/errno.h. @module */

/** Operation not permitted. */
export const XEN_EPERM = 1;
/** No such file or directory. */
export const XEN_ENOENT = 2;
/** No such process. */
export const XEN_ESRCH = 3;
/** I/O error. */
export const XEN_EIO = 5;
/** No such device or address. */
export const XEN_ENXIO = 6;
/** Arg list too long. */
export const XEN_E2BIG = 7;
/** Exec format error. */
export const XEN_ENOEXEC = 8;
/** Bad file number. */
export const XEN_EBADF = 9;
/** No child processes. */
export const XEN_ECHILD = 10;
/** Try again. */
export const XEN_EAGAIN = 11;
/** Operation would block.  Aliases EAGAIN. */
export const XEN_EWOULDBLOCK = 11;
/** Out of memory. */
export const XEN_ENOMEM = 12;
/** Permission denied. */
export const XEN_EACCES = 13;
/** Bad address. */
export const XEN_EFAULT = 14;
/** Device or resource busy. */
export const XEN_EBUSY = 16;
/** File exists. */
export const XEN_EEXIST = 17;
/** Cross-device link. */
export const XEN_EXDEV = 18;
/** No such device. */
export const XEN_ENODEV = 19;
/** Not a directory. */
export const XEN_ENOTDIR = 20;
/** Is a directory. */
export const XEN_EISDIR = 21;
/** Invalid argument. */
export const XEN_EINVAL = 22;
/** File table overflow. */
export const XEN_ENFILE = 23;
/** Too many open files. */
export const XEN_EMFILE = 24;
/** No space left on device. */
export const XEN_ENOSPC = 28;
/** Read-only file system. */
export const XEN_EROFS = 30;
/** Too many links. */
export const XEN_EMLINK = 31;
/** Math argument out of domain of func. */
export const XEN_EDOM = 33;
/** Math result not representable. */
export const XEN_ERANGE = 34;
/** Resource deadlock would occur. */
export const XEN_EDEADLK = 35;
/** Resource deadlock would occur. Aliases EDEADLK. */
export const XEN_EDEADLOCK = 35;
/** File name too long. */
export const XEN_ENAMETOOLONG = 36;
/** No record locks available. */
export const XEN_ENOLCK = 37;
/** Function not implemented. */
export const XEN_ENOSYS = 38;
/** Directory not empty. */
export const XEN_ENOTEMPTY = 39;
/** No data available. */
export const XEN_ENODATA = 61;
/** Timer expired. */
export const XEN_ETIME = 62;
/** Not a data message. */
export const XEN_EBADMSG = 74;
/** Value too large for defined data type. */
export const XEN_EOVERFLOW = 75;
/** Illegal byte sequence. */
export const XEN_EILSEQ = 84;
/** Socket operation on non-socket. */
export const XEN_ENOTSOCK = 88;
/** Message too large. */
export const XEN_EMSGSIZE = 90;
/** Operation not supported on transport endpoint. */
export const XEN_EOPNOTSUPP = 95;
/** Address already in use. */
export const XEN_EADDRINUSE = 98;
/** Cannot assign requested address. */
export const XEN_EADDRNOTAVAIL = 99;
/** No buffer space available. */
export const XEN_ENOBUFS = 105;
/** Transport endpoint is already connected. */
export const XEN_EISCONN = 106;
/** Transport endpoint is not connected. */
export const XEN_ENOTCONN = 107;
/** Connection timed out. */
export const XEN_ETIMEDOUT = 110;
/** Connection refused. */
export const XEN_ECONNREFUSED = 111;
