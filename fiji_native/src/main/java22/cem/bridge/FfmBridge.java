package cem.bridge;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** Calls through java.lang.foreign, without JNI; loaded by reflection where Java is 22 or newer. */
@SuppressWarnings("restricted")
final class FfmBridge implements Bridge {
    private static final Map<Class<?>, MemoryLayout> LAYOUTS = Map.of(
        int.class, ValueLayout.JAVA_INT, long.class, ValueLayout.JAVA_LONG, double.class, ValueLayout.JAVA_DOUBLE);

    private final Map<Method, MethodHandle> handles = new HashMap<>();
    private final CemApi api;

    FfmBridge(Path library) {
        SymbolLookup symbols = SymbolLookup.libraryLookup(library, Arena.global());
        for (Method method : CemApi.class.getMethods()) handles.put(method, handle(symbols, method));
        api = (CemApi) Proxy.newProxyInstance(CemApi.class.getClassLoader(), new Class<?>[] {CemApi.class},
            (proxy, method, arguments) -> handles.get(method).invokeWithArguments(arguments));
    }

    private static MethodHandle handle(SymbolLookup symbols, Method method) {
        MemorySegment symbol = symbols.find(method.getName()).orElseThrow(
            () -> new BridgeException("the library has no " + method.getName() + "; it is of another version"));
        MemoryLayout[] types = Arrays.stream(method.getParameterTypes()).map(LAYOUTS::get).toArray(MemoryLayout[]::new);
        MemoryLayout result = LAYOUTS.get(method.getReturnType());
        return Linker.nativeLinker().downcallHandle(symbol,
            result == null ? FunctionDescriptor.ofVoid(types) : FunctionDescriptor.of(result, types));
    }

    @Override
    public CemApi api() {
        return api;
    }

    @Override
    public Block allocate(long bytes) {
        Arena arena = Arena.ofShared();
        MemorySegment memory = arena.allocate(bytes, 64);
        return new Block() {
            @Override
            public long address() {
                return memory.address();
            }

            @Override
            public ByteBuffer view(long at, int length) {
                return memory.asSlice(at, length).asByteBuffer().order(ByteOrder.nativeOrder());
            }

            @Override
            public void close() {
                arena.close();
            }
        };
    }

    @Override
    public String text(long address) {
        return MemorySegment.ofAddress(address).reinterpret(Long.MAX_VALUE).getString(0);
    }

    @Override
    public String describe() {
        return "java.lang.foreign of Java " + System.getProperty("java.version");
    }
}
