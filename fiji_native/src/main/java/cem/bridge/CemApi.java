package cem.bridge;

/**
 * The functions of {@code csrc/cem.h}, one to one and in its order; the header is their manual. Pointers are addresses:
 * they and {@code int64_t} are long, {@code int32_t} is int. A test compares the two.
 */
public interface CemApi {
    // ==== Status ====

    long cem_last_error();

    // ==== Library ====

    long cem_version();
    long cem_backend();
    int cem_cores();
    void cem_cancel(long handle);

    // ==== Pixels ====

    int cem_statistics_add(long statistics, long pixels, int type, long count);
    int cem_intensity_measure(long intensity, long statistics);
    long cem_sample(long slices, long depth, long most);
    int cem_norms_measure(long norms, long statistics);
    int cem_intensity_from_norms(long intensity, long norms);
    int cem_stretch(long out, long pixels, int type, long count, double low, double high);
    int cem_contrast_add(long contrast, long pixels, int type, long height, long width);
    int cem_contrast_mean(long mean, long contrast, long intensity);
    int cem_contrast_inverted(long inverted, long trained, long seen);
    int cem_pixel_nm(long nm, double length, long unit);

    // ==== Model ====

    int cem_model_defaults(long options, long size);
    int cem_model_new(long out, long options);
    int cem_model_load(long out, long path);
    int cem_model_load_encoder(long model, long path);
    int cem_model_load_body(long model, long path);
    int cem_model_save(long model, long path, int overwrite);
    int cem_model_copy(long out, long model);
    int cem_model_assign(long model, long from);
    void cem_model_free(long model);
    int cem_model_classes(long model);
    int cem_model_outputs(long model);
    long cem_model_card(long model);
    int cem_model_set_card(long model, long json);
    int cem_model_tensors(long model);
    int cem_model_tensor_shape(long name, long shape, long model, int index);
    int cem_model_tensor_get(long values, long model, int index);
    int cem_model_tensor_set(long model, int index, long values);

    // ==== Predict ====

    int cem_predict_defaults(long options, long size);
    long cem_predict_tiles(long depth, long height, long width, long options);
    int cem_predict(long out, long model, long pixels, int type, long depth, long height,
        long width, long intensity, long options);
    int cem_classify(long labels, long model, long probabilities, long depth, long pixels);

    // ==== Planes ====

    int cem_planes_gather(long out, long volume, int type, long depth, long height, long width,
        int plane, long first, long count);
    int cem_planes_add(long sums, long probabilities, long classes, long depth, long height,
        long width, int plane, long first, long count);
    int cem_planes_mean(long out, long sums, long classes, long pixels, int planes);

    // ==== Train ====

    int cem_trainer_defaults(long options, long size, int recipe);
    int cem_trainer_suit(long options, long model);
    int cem_trainer_new(long out, long model, long options);
    void cem_trainer_free(long trainer);
    int cem_trainer_set(long trainer, long key, long pixels, int type, long labels, long height,
        long width, long intensity);
    int cem_trainer_step(long report, long trainer, long steps);
    int cem_trainer_evaluate(long iou, long pixels, long trainer);
    int cem_trainer_commit(long trainer, long model);
    int cem_trainer_snapshot(long trainer, long model);
    int cem_trainer_restart(long trainer, long model);
    int cem_trainer_revert(long trainer, long model);
    int cem_trainer_save(long trainer, long path);
    int cem_trainer_load(long out, long model, long options, long path);

    // ==== TIFF ====

    int cem_tiff_open(long out, long path);
    int cem_tiff_describe(long info, long tiff);
    int cem_tiff_read(long pixels, long tiff, long page);
    int cem_tiff_new(long out, long path, long info, int labels, int overwrite);
    int cem_tiff_write(long tiff, long pixels);
    int cem_tiff_finish(long tiff);
    void cem_tiff_free(long tiff);

    // ==== Curate ====

    int cem_eight_bit(long out, long pixels, int type, long count, int rule);
    long cem_patches_along(long size, long side);
    int cem_patches_axes(double spacing, double pixel, double anisotropy);
    int cem_patches_cut(long out, long volume, long depth, long height, long width, long corners,
        long count, long rows, long columns, int threads);
    int cem_dhash(long hashes, long patches, long count, long height, long width, int threads);
    int cem_patch_features(long features, long patches, long count, long height, long width,
        int threads);
    int cem_deduplicate_order(long order, long count, long seed);
    int cem_deduplicate(long exemplar, long hashes, long count, long order, int distance,
        long first, long last, int threads);
}
